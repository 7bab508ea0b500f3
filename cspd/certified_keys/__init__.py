"""Keys of the server itself whose certificates its own CAs give: made once over all nodes, renewed, and destroyed."""

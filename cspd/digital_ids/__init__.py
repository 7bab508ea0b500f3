"""Digital IDs: certificates that a product for mobile device management orders for users and devices.

The product names a configuration (``[[digital_ids.configurations]]``) and gives the variables of its RDN format; the
subject of every certificate is built from them here and never taken from a device.
"""

"""Connects to chrony's daemon, which knows how far the system clock is off.

:mod:`plugins.chrony.candm` has the words of its monitoring protocol and :mod:`plugins.chrony.codec` their octets;
:mod:`plugins.chrony.questions` asks, over :mod:`plugins.chrony.sockets`; :mod:`plugins.chrony.source` makes a
:class:`cspd.timekeeping.values.Tracking` of the answers. Which address is asked is said as
:mod:`plugins.chrony.addresses` describes.
"""

from cspd.plugin import ConnectorDeclaration

chrony = ConnectorDeclaration(
    kind="time-source",
    name="chrony",
    summary="chronyd, asked over UDP or its Unix socket how far the system clock is off",
    factory="plugins.chrony.source:build",
)

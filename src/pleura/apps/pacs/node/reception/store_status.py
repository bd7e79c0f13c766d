"""The statuses with which the node answers C-STORE."""

from __future__ import annotations

from enum import IntEnum

__all__ = ["StoreStatus"]


class StoreStatus(IntEnum):
    """The C-STORE status for the sender, PS3.4 B.2.3 and PS3.7 C."""

    STORED = 0x0000
    """The film is on the disk, or it was there until its results were delivered."""

    NOT_STORED = 0xB006
    """The warning "elements discarded": nothing was stored, as at every further try."""

    NO_ROOM = 0xA700
    """Out of resources: the disk or the folder has no room; the sender may try again later."""

    OTHER_UID = 0xA900
    """The data set has another SOPInstanceUID than the request."""

    UNREADABLE = 0xC000
    """The object is not DICOM, or has fewer pixels than its header announces."""

    DEFECT = 0x0110
    """Processing failure: a defect of Pleura."""

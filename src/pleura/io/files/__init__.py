"""Files on the disk: opening, writing atomically, reading within bounds, walking folders."""

"""Reading annotation files, which hold the outlines of structures: COCO, Labelme, CVAT."""

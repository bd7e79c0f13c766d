"""Writing results as pictures: masks, label maps, the overlay and its caption, COCO JSON."""

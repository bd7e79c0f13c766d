"""How fast Pleura is: the network, one film, a folder, the start, training."""

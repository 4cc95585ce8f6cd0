"""Several processes of one service on one machine, behind one port."""

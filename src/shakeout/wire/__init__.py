"""What goes over the wire: typed messages, framing, transports, and the loop that moves them."""

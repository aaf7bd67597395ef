"""Network devices: the rtnetlink client, the device classes of recipes, and the agent's table of them."""

"""The controller's side of hosts: sessions, jobs, devices, files, as a recipe uses them."""

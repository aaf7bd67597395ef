"""The laboratory's CA: certificates for hosts and controllers, and their revocation."""

"""How many different users, tenants and conversations call: what heartbeats tell, hour by hour."""

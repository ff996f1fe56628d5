"""The gateways that can be measured, one module each family."""

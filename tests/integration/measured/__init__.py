"""On the path of child processes in a measured test run: see `sitecustomize`."""

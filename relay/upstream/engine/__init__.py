"""The engine's upstream side: relay's own HTTP/1.1 connections to providers, their pool, and `IUpstream` over it."""

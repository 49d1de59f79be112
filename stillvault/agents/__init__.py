"""What agents use: the skill bundle and plugin, the hook that keeps values out of a model's context, the MCP server."""

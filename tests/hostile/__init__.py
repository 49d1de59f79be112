"""What happens when the relay, or the line to it, is the attacker."""

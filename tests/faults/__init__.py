"""What must survive: processes killed, disks full, clocks wrong. One checker says what was lost."""

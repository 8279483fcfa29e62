"""What an auditor takes away: files, and the program that checks them without us."""

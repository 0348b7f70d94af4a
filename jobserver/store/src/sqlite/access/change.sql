UPDATE access_changes SET number = number + 1

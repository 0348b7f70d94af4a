-- Which server this is, and as whom it knows us.
SELECT VERSION(), CURRENT_USER()

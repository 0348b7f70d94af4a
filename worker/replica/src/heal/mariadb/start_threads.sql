-- Starts what stands still; a thread that runs is left alone.
START ALL SLAVES

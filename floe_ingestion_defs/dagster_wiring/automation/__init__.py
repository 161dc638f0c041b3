"""What starts runs: schedules, sensors and jobs."""

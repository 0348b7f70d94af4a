DELETE FROM hours_of_work WHERE hour < :before

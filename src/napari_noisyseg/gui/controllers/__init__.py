"""What the docks draw: runs, results and reviews, with neither Qt widgets nor windows."""

//! Everything that the farm decides: who is a member, and which nodes hear which.

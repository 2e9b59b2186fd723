//! Authenticated connections between the nodes of a farm, and how a node joins.

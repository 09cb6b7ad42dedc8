//! The daemons that run what is due and repair what was left.

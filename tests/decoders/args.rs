//! Arguments and results: `MessagePack` of whoever enqueues.

use longshore_core::value;

/// Shows what is not too deep, and reads it as another type.
pub(crate) fn check(bytes: &[u8]) {
    if value::check_depth("args", bytes).is_ok() {
        value::to_json("args", bytes).ok();
    }
    value::decode::<Vec<String>>("args", bytes).ok();
}

pub(crate) fn seeds() -> Vec<Vec<u8>> {
    let args = serde_json::json!({"user": "müller", "list": [1, -2, 3.5, null, {"deep": [[[]]]}]});
    vec![value::encode("args", &args).unwrap().to_vec(), vec![0x91; 300]]
}

//! Any lines to the decision service: it answers or is silent, what it answers is one line of JSON, and nothing that it
//! did not understand is allowed. A run that has begun is in front, so that calls and results reach deep.
#![no_main]

use libfuzzer_sys::fuzz_target;
use raincoat_flow::protocol::Service;
use raincoat_flow::{FlowLimits, Manifest};

const BEGIN: &str = r#"{"type":"begin","prompt":"send the report to bob@x.example","tools":[
    {"name":"read_file","description":"Reads a file.","parameters":{"properties":{"path":{"type":"string"}}}},
    {"name":"send_mail","description":"Sends a mail.","parameters":{"properties":{"to":{"type":"string"},"body":{"type":"string"}}}}]}"#;

fuzz_target!(|data: &[u8]| {
    let limits = FlowLimits { line_bytes: 1 << 16, result_bytes: 1 << 14, ..FlowLimits::default() };
    let mut service = Service::new(Manifest::default(), limits);
    service.line(BEGIN.replace('\n', " ").as_bytes());
    for line in data.split(|byte| *byte == b'\n') {
        if let Some(answer) = service.line(line) {
            let answer: serde_json::Value = serde_json::from_str(&answer).expect("answers are JSON");
            let allowed = answer["decision"] == "allow";
            assert!(!(allowed && answer.get("error").is_some()));
            assert!(answer["ok"] == true || ["allow", "ask", "deny"].iter().any(|word| answer["decision"] == **word));
        }
        // The same bytes as what a tool gave back.
        let output = String::from_utf8_lossy(line);
        service.line(serde_json::json!({"type": "result", "function": "read_file", "output": output}).to_string().as_bytes());
    }
    if let Ok(text) = std::str::from_utf8(data) {
        let _ = Manifest::parse(text);
    }
});

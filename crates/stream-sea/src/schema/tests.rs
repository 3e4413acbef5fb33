//! Schemas as they are built, written, compared and held against payloads.

use serde_json::json;

use super::*;

fn tides() -> SchemaDefinition {
    SchemaDefinition::new("tides", "1.0.0")
        .field(Field::new("station", FieldType::String))
        .field(Field::new("level", FieldType::Float))
        .field(Field::new("sequence", FieldType::Integer))
        .field(Field::new("taken", FieldType::Date))
        .field(Field::one_of("quality", ["good", "suspect"]))
        .field(Field::new("history", FieldType::FloatArray))
        .field(Field::object(
            "position",
            [Field::new("lat", FieldType::Float), Field::new("lon", FieldType::Float)],
        ))
        .field(Field::objects("gauges", [Field::new("code", FieldType::String)]))
}

#[test]
fn is_written_as_the_wire_has_it() {
    let told = json!({ "name": "tides", "version": "1.0.0",
      "fields": [
        {"name": "station",  "type": "string"},
        {"name": "level",    "type": "float"},
        {"name": "sequence", "type": "integer"},
        {"name": "taken",    "type": "date"},
        {"name": "quality",  "type": "enum", "enum": ["good", "suspect"]},
        {"name": "history",  "type": "array<float>"},
        {"name": "position", "type": "object", "fields":
            [{"name": "lat", "type": "float"}, {"name": "lon", "type": "float"}]},
        {"name": "gauges",   "type": "array<object>", "fields": [{"name": "code", "type": "string"}]}
      ] });
    assert_eq!(serde_json::to_value(tides()).unwrap(), told);
    let read: SchemaDefinition = serde_json::from_value(told).unwrap();
    assert_eq!(read, tides());
    read.check().unwrap();
}

#[test]
fn the_originals_builder_makes_the_same() {
    let mut built = SchemaDefinition::new("tides", 2);
    built.add_field("position", FieldType::Object, &[]);
    built.add_field("quality", FieldType::Enum, &["good"]);
    assert_eq!(built.add_child_field("position", FieldType::Object, "position", &[]), 1);
    // Every field of that name, the inner one first.
    assert_eq!(built.add_child_field("lat", FieldType::Float, "position", &[]), 2);
    assert_eq!(built.add_child_field("x", FieldType::Float, "nobody", &[]), 0);
    assert_eq!(
        serde_json::to_value(&built).unwrap(),
        json!({"name": "tides", "version": 2, "fields": [
            {"name": "position", "type": "object", "fields": [
                {"name": "position", "type": "object", "fields": [
                    {"name": "lat", "type": "float"}]},
                {"name": "lat", "type": "float"}]},
            {"name": "quality", "type": "enum", "enum": ["good"]}]})
    );
    // One definition's fields never appear in the next.
    assert_eq!(SchemaDefinition::new("other", 1).fields.len(), 0);
}

#[test]
fn order_does_not_matter_and_everything_else_does() {
    let mut turned = tides();
    turned.fields.reverse();
    turned.fields[3].values.as_mut().unwrap().reverse();
    assert_eq!(turned, tides());
    turned.fields[0].name = "other".into();
    assert_ne!(turned, tides());
    let mut newer = tides();
    newer.version = "1.0.1".into();
    assert_ne!(newer, tides());
}

#[test]
fn versions_are_compared_part_by_part_and_keep_their_kind() {
    let read = |text: &str| serde_json::from_str::<Version>(text).unwrap();
    for (low, high) in
        [("1", "2"), ("\"0.9.0\"", "\"1.0.0\""), ("\"1.9\"", "\"1.10\""), ("1", "1.5")]
    {
        assert!(read(low) < read(high), "{low} {high}");
    }
    assert_eq!(read("2"), read("\"2.0.0\""));
    assert_eq!(serde_json::to_string(&read("2")).unwrap(), "2");
    assert_eq!(serde_json::to_string(&read("\"1.0.0\"")).unwrap(), "\"1.0.0\"");
}

#[test]
fn definitions_that_no_server_takes_are_told() {
    let of = |field: Field| SchemaDefinition::new("s", 1).field(field).check();
    for (field, path) in [
        (Field::new("", FieldType::String), ""),
        (Field::one_of("q", Vec::<String>::new()), "q"),
        (Field { fields: None, ..Field::new("o", FieldType::Object) }, "o"),
        (Field::object("o", ["x", "x"].map(|name| Field::new(name, FieldType::Float))), "o.x"),
    ] {
        let error = of(field).unwrap_err();
        assert_eq!(error.code(), "schema");
        assert!(error.to_string().starts_with(path), "{error}");
    }
    assert!(SchemaDefinition::new("", 1).check().is_err());
    assert!(serde_json::from_str::<Field>(r#"{"name":"a","type":"array<enum>"}"#).is_err());
}

#[test]
fn payloads_are_held_against_it() {
    let good = json!({
        "station": "N4", "level": 2, "sequence": 12.0, "taken": "2026-11-21T12:00:00.5Z",
        "quality": "good", "history": [1, 2.5], "position": {"lat": 1.5, "unknown": true},
        "gauges": [{"code": "a"}, {}], "more": [], "lon": null
    });
    tides().validate(&good).unwrap();
    tides().validate(&json!([good, {"station": null}])).unwrap();
    let violations = tides().validate(&json!({
        "station": 4, "level": "high", "sequence": 1.5, "taken": "today", "quality": "bad",
        "history": [1, "x"], "position": [], "gauges": [{"code": 1}, 7]
    }));
    let told: Vec<String> = violations.unwrap_err().iter().map(ToString::to_string).collect();
    assert_eq!(
        told,
        [
            "station is not of type string",
            "level is not of type float",
            "sequence is not of type integer",
            "taken is not of type date",
            "quality is none of good, suspect",
            "history[1] is not of type float",
            "position is not of type object",
            "gauges[0].code is not of type string",
            "gauges[1] is not of type object",
        ]
    );
    for wrong in [json!(1), json!("x"), json!(null), json!([1])] {
        assert!(tides().validate(&wrong).is_err(), "{wrong}");
    }
    let many = vec![json!({"station": 1}); 1000];
    assert_eq!(tides().validate(&many).unwrap_err().len(), 100);
}

//! The schemas as another program applies them.

use std::collections::BTreeMap;

use boon::{Compiler, SchemaIndex, Schemas};
use dbco::schema::{DocumentKind, KINDS, schema};
use serde_json::Value;

/// The schemas of all kinds, compiled.
pub struct Judge {
    schemas: Schemas,
    kinds: BTreeMap<&'static str, SchemaIndex>,
}

impl Judge {
    pub fn new() -> Self {
        let (mut schemas, mut compiler, mut kinds) = (Schemas::new(), Compiler::new(), BTreeMap::new());
        for kind in &KINDS {
            let url = format!("http://localhost/{}.json", kind.name);
            compiler.add_resource(&url, schema(kind)).unwrap();
            kinds.insert(kind.name, compiler.compile(&url, &mut schemas).unwrap());
        }
        Self { schemas, kinds }
    }

    /// Whether the schema accepts a text, as another YAML parser reads it; what it objects to.
    pub fn judge(&self, kind: &DocumentKind, text: &str) -> Result<(), String> {
        let value: Value = serde_yaml::from_str(text).map_err(|error| error.to_string())?;
        self.schemas.validate(&value, self.kinds[kind.name]).map_err(|error| format!("{error:#}"))
    }
}

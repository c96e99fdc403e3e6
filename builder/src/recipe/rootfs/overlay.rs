//! Folders of the project that are copied into a root.

use super::Overlay;
use crate::recipe::decode::{At, Decode, FindingSink, Table};
use crate::recipe::keys;
use crate::recipe::node::{YamlNode, YamlValue};
use crate::recipe::place::FileFinder;

/// A folder's name as written in the recipe.
struct NamedFolder {
    path: At<String>,
    keep_modes: bool,
}

impl Decode for NamedFolder {
    fn decode(node: &YamlNode, sink: &FindingSink) -> Option<Self> {
        if let YamlValue::Text { .. } = node.value {
            return Some(Self { path: At::decode(node, sink)?, keep_modes: false });
        }
        let table = Table::open(node, &keys::OVERLAY, sink)?;
        let path = table.required("path");
        let words = [("keep", true), ("plain", false)];
        let keep_modes = table.word_or("modes", &words, false).unwrap_or(false);
        table.close();
        Some(Self { path: path?, keep_modes })
    }
}

/// Reads `overlays`: names of folders, or mappings with `path` and `modes: keep`.
pub fn decode_overlays(table: &Table<'_>, place: &FileFinder<'_>, sink: &FindingSink) -> Vec<Overlay> {
    let find = |NamedFolder { path, keep_modes }: NamedFolder| {
        let value = place.existing(&path, path.span, "overlay", sink)?;
        Some(Overlay { path: At { value, span: path.span }, keep_modes })
    };
    table.or_default::<Vec<NamedFolder>>("overlays").into_iter().filter_map(find).collect()
}

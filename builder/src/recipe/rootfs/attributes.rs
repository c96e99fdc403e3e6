//! Modes, owners and extended attributes in a recipe.

use std::collections::BTreeMap;

use super::{Attributes, Octal, StatedGroup, User};
use crate::recipe::decode::{At, Decode, FindingSink, Table, wrong_type};
use crate::recipe::keys;
use crate::recipe::node::{MappingKey, YamlNode, YamlValue};
use crate::tree::capabilities::Capabilities;

/// An [`Attributes`] whose owner and group may still be names.
pub(super) struct StatedAttributes {
    attributes: Attributes,
    owner: Option<At<String>>,
    group: Option<At<String>>,
}

impl Decode for StatedAttributes {
    fn decode(node: &YamlNode, sink: &FindingSink) -> Option<Self> {
        if let YamlValue::Text { text, .. } = &node.value {
            let path = At { value: text.clone(), span: node.span };
            let attributes =
                Attributes { path, mode: None, uid: None, gid: None, capabilities: None, xattrs: BTreeMap::new() };
            return Some(Self { attributes, owner: None, group: None });
        }
        let table = Table::open(node, &keys::ATTRIBUTES, sink)?;
        let path = table.required("path");
        let mode: Option<Octal> = table.optional("mode");
        let (uid, gid) = (table.optional("uid"), table.optional("gid"));
        let (owner, group) = (table.optional("owner"), table.optional("group"));
        let capabilities = table.optional("capabilities");
        let xattrs: Vec<(MappingKey, XattrValue)> = table.or_default("xattrs");
        for (key, _) in &xattrs {
            check_xattr_name(key, sink);
        }
        for (one, other) in [("uid", "owner"), ("gid", "group")] {
            if let (Some(_), Some(span)) = (table.key(one), table.key(other)) {
                let message = format!("`{one}` and `{other}` set the same attribute");
                sink.borrow_mut().add("duplicate-key", span, message);
            }
        }
        table.close();
        let xattrs = xattrs.into_iter().map(|(key, value)| (key.name, value.0)).collect();
        let mode = mode.map(|octal| octal.0);
        Some(Self { attributes: Attributes { path: path?, mode, uid, gid, capabilities, xattrs }, owner, group })
    }
}

fn check_xattr_name(key: &MappingKey, sink: &FindingSink) {
    let mut findings = sink.borrow_mut();
    if key.name == crate::tree::capabilities::XATTR {
        let message = "capabilities have their own key";
        findings.add("xattr", key.span, message).help("capabilities: cap_net_raw+ep");
    } else if !["user.", "trusted.", "security.", "system."].iter().any(|space| {
        // xattr(7): a namespace and a name.
        key.name.strip_prefix(space).is_some_and(|name| !name.is_empty())
    }) || key.name.len() > 255
    {
        let message = format!("`{}` is not the name of an extended attribute", key.name);
        findings.add("xattr", key.span, message).label("`user.`, `trusted.`, `security.` or `system.`, then a name");
    }
}

/// An extended attribute's value: text, or `0x` and hexadecimal digits, as in setfattr(1).
struct XattrValue(Vec<u8>);

impl Decode for XattrValue {
    fn decode(node: &YamlNode, sink: &FindingSink) -> Option<Self> {
        let text = String::decode(node, sink)?;
        let Some(digits) = text.strip_prefix("0x") else { return Some(Self(text.into_bytes())) };
        let byte = |at: usize| digits.get(at..at + 2).and_then(|pair| u8::from_str_radix(pair, 16).ok());
        let bytes: Option<Vec<u8>> = (0..digits.len()).step_by(2).map(byte).collect();
        if bytes.is_none() {
            wrong_type(node, "text, or `0x` and pairs of hexadecimal digits", sink);
        }
        bytes.map(Self)
    }
}

impl Decode for Capabilities {
    fn decode(node: &YamlNode, sink: &FindingSink) -> Option<Self> {
        let text = String::decode(node, sink)?;
        let parsed = Self::parse(&text);
        parsed.map_err(|what| _ = sink.borrow_mut().add("capabilities", node.span, what)).ok()
    }
}

/// The names of owners and groups in the recipe.
pub(super) struct AccountNames<'a> {
    pub users: &'a [User],
    pub groups: &'a [StatedGroup],
}

impl AccountNames<'_> {
    /// Replaces names by numbers.
    pub fn resolve(&self, stated: StatedAttributes, sink: &FindingSink) -> Option<Attributes> {
        let StatedAttributes { mut attributes, owner, group } = stated;
        let unknown = |what: &str, name: &At<String>| {
            let message = format!("the recipe has no {what} `{}`", name.value);
            sink.borrow_mut().add("unknown-name", name.span, message).help("set the number as `uid` or `gid`");
        };
        if let Some(name) = owner {
            match self.users.iter().find(|user| user.name.value == name.value) {
                Some(user) => attributes.uid = Some(user.uid),
                None => unknown("account", &name),
            }
        }
        if let Some(name) = group {
            let own = self.users.iter().find(|user| user.name.value == name.value).map(|user| user.gid);
            let gid = self.groups.iter().find(|group| group.name.value == name.value).map(|group| group.gid).or(own);
            match gid {
                Some(gid) => attributes.gid = Some(gid),
                None => unknown("group", &name),
            }
        }
        Some(attributes)
    }
}

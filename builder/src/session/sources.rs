//! The names of a recipe's sources, and where it requests them.

use std::path::Path;

use super::Error;
use crate::digest::Digest;
use crate::lock::Lock;
use crate::recipe::component::BaseConfig;
use crate::recipe::image::Kernel;
use crate::recipe::text::Span;
use crate::recipe::{Origin, Recipe};
use crate::similar;
use crate::source::Request;

/// The digests of everything that a lock and the `Cargo.lock` files name.
pub fn digests<'a>(recipe: &'a Recipe, lock: &'a Lock) -> impl Iterator<Item = Digest> + 'a {
    let files = lock.entries().flat_map(|entry| &entry.files).map(|file| file.sha256);
    files.chain(recipe.cargo_locks().into_iter().flat_map(|lock| &lock.crates).map(|one| one.sha256))
}

/// A request, with the names that a user knows it by.
struct NamedRequest<'a> {
    request: &'a Request,
    names: Vec<String>,
    /// Where it is requested.
    span: Span,
}

fn all<'a>(recipe: &'a Recipe) -> Vec<NamedRequest<'a>> {
    let mut all = Vec::new();
    let mut add = |request: &'a Request, owner: &str, span: Span| {
        let mut names = request.kind().names();
        names.push(owner.to_owned());
        all.push(NamedRequest { request, names, span });
    };
    let toolchains = [&recipe.build, &recipe.packer, &recipe.boot].into_iter().chain(recipe.toolchains.values());
    for toolchain in toolchains {
        add(&toolchain.packages, &toolchain.name, toolchain.packages.span);
    }
    for component in recipe.components.values() {
        let config = component.kconfig.as_ref().and_then(|kconfig| match &kconfig.base {
            BaseConfig::File(origin) => origin.request(),
            _ => None,
        });
        let mut origin = |request: Option<&'a Request>, span| {
            if let Some(request) = request {
                add(request, &component.name, span);
            }
        };
        origin(component.source.request(), component.source.span);
        component.patches.iter().for_each(|patch| origin(patch.request(), patch.span));
        origin(config, component.span);
    }
    let image = &recipe.image;
    match &image.kernel {
        Kernel::Package { request, .. } => add(request, "kernel", request.span),
        Kernel::Component { patches, .. } => {
            for patch in patches {
                if let Origin::Remote(request) = &patch.value {
                    add(request, "kernel", patch.span);
                }
            }
        }
    }
    for (rootfs, name) in [(Some(&image.rootfs), "rootfs"), (image.template.content.as_ref(), "template")] {
        if let Some(request) = rootfs.and_then(|rootfs| rootfs.packages.as_ref()) {
            add(request, name, request.span);
        }
    }
    all
}

/// Where the recipe requests something: `file:line:column`.
pub fn place(recipe: &Recipe, request: &Request) -> Option<String> {
    let all = all(recipe);
    let item = all.iter().find(|item| item.request == request)?;
    Some(recipe.files.locate(item.span))
}

/// The requests that a name stands for: of a package (requested, or locked as a dependency), a component, a toolchain
/// or a source.
pub fn named(recipe: &Recipe, lock: &Lock, name: &str) -> Result<Vec<Request>, Error> {
    let all = all(recipe);
    let locked = |request: &Request| lock.find(request).map(|entry| &entry.files[..]).unwrap_or_default();
    let fits = |item: &&NamedRequest<'_>| {
        item.names.iter().any(|known| known == name) || locked(item.request).iter().any(|file| file.name == name)
    };
    let mut requests: Vec<Request> = all.iter().filter(fits).map(|item| item.request.clone()).collect();
    if !requests.is_empty() {
        requests.sort();
        requests.dedup();
        return Ok(requests);
    }
    if name.ends_with(".yaml") || Path::new(name).exists() {
        return Err(Error::Request(format!(
            "--update {name}: this is a file, expected the name of a package, component or source; to update all of a \
             recipe: `dbco lock {name} --update`"
        )));
    }
    let files = all.iter().flat_map(|item| locked(item.request)).map(|file| file.name.as_str());
    let known = all.iter().flat_map(|item| item.names.iter().map(String::as_str)).chain(files);
    let meant = similar::nearest(name, known).map(|near| format!("; {}", similar::did_you_mean(near)));
    let recipe = recipe.path.display();
    Err(Error::Request(format!(
        "--update {name}: {recipe} has no package, component or source of that name{}",
        meant.unwrap_or_default()
    )))
}

//! `#[config]`: serde and schemars, set up the way every component should be.

use proc_macro2::TokenStream;
use quote::quote;
use syn::{Error, Result};

pub(crate) fn expand(arguments: &TokenStream, item: &TokenStream) -> Result<TokenStream> {
    if !arguments.is_empty() {
        return Err(Error::new_spanned(arguments, "`config` takes no arguments"));
    }
    // Where the derives find their crates: an author depends on this one crate alone.
    Ok(quote! {
        #[derive(::bellwether_guest::serde::Deserialize, ::bellwether_guest::schemars::JsonSchema)]
        #[serde(crate = "::bellwether_guest::serde", deny_unknown_fields, rename_all = "kebab-case")]
        #[schemars(crate = "::bellwether_guest::schemars")]
        #item
    })
}

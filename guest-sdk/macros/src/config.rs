//! `#[config]`: derives serde's and schemars' traits with the attributes that every component should have.

use proc_macro2::TokenStream;
use quote::quote;
use syn::{Error, Result};

pub(crate) fn expand(arguments: &TokenStream, item: &TokenStream) -> Result<TokenStream> {
    if !arguments.is_empty() {
        return Err(Error::new_spanned(arguments, "`config` takes no arguments"));
    }
    // The paths of the derives' crates: an author depends on this one crate alone.
    Ok(quote! {
        #[derive(::bellwether_guest::serde::Deserialize, ::bellwether_guest::schemars::JsonSchema)]
        #[serde(crate = "::bellwether_guest::serde", deny_unknown_fields, rename_all = "kebab-case")]
        #[schemars(crate = "::bellwether_guest::schemars")]
        #item
    })
}

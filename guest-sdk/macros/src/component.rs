//! `#[checker]` and `#[restart_script]`: the function is unchanged, and a hidden type beside it exports it from the
//! component.

use proc_macro2::TokenStream;
use quote::quote;
use syn::parse::{Parse, ParseStream};
use syn::punctuated::Punctuated;
use syn::{
    Error, Expr, ExprLit, FnArg, Ident, ItemFn, Lit, LitStr, Meta, Result, Token, Type, parenthesized,
};

#[derive(Clone, Copy)]
pub(crate) enum Kind {
    Checker,
    RestartScript,
}

/// `name = "…", grants(connect = "what for", connect("10.0.0.1:53") = "what for")`
#[derive(Default)]
pub(crate) struct Arguments {
    name: Option<LitStr>,
    grants: Vec<Grant>,
}

struct Grant {
    kind: Ident,
    value: Option<LitStr>,
    reason: LitStr,
}

impl Parse for Arguments {
    fn parse(input: ParseStream<'_>) -> Result<Self> {
        let mut arguments = Self::default();
        while !input.is_empty() {
            let key: Ident = input.parse()?;
            match key.to_string().as_str() {
                "name" => {
                    input.parse::<Token![=]>()?;
                    arguments.name = Some(input.parse()?);
                }
                "grants" => {
                    let inner;
                    parenthesized!(inner in input);
                    let grants = Punctuated::<Grant, Token![,]>::parse_terminated(&inner)?;
                    arguments.grants.extend(grants);
                }
                _ => return Err(Error::new(key.span(), "expected `name = \"…\"` or `grants(…)`")),
            }
            if !input.is_empty() {
                input.parse::<Token![,]>()?;
            }
        }
        Ok(arguments)
    }
}

/// The kinds of grants, as in a module's file.
const KINDS: [&str; 9] =
    ["connect", "resolve", "http", "read", "env", "secrets", "commands", "processes", "ping"];

impl Parse for Grant {
    fn parse(input: ParseStream<'_>) -> Result<Self> {
        let kind: Ident = input.parse()?;
        if !KINDS.iter().any(|known| kind == known) {
            return Err(Error::new(kind.span(), format!("expected one of {}", KINDS.join(", "))));
        }
        let value = if input.peek(syn::token::Paren) {
            let inner;
            parenthesized!(inner in input);
            Some(inner.parse()?)
        } else {
            None
        };
        input.parse::<Token![=]>()?;
        Ok(Self { kind, value, reason: input.parse()? })
    }
}

pub(crate) fn expand(arguments: &Arguments, function: &ItemFn, kind: Kind) -> Result<TokenStream> {
    let config = config_type(function, kind)?;
    let name = arguments.name.as_ref().map_or_else(
        || quote!(::bellwether_guest::component::crate_name(::core::module_path!())),
        |name| quote!(#name),
    );
    let summary = summary(function);
    let grants = arguments.grants.iter().map(|grant| {
        let (kind, reason) = (grant.kind.to_string(), &grant.reason);
        let value = grant.value.as_ref().map_or_else(String::new, LitStr::value);
        quote!((#kind, #value, #reason))
    });
    let behaviour = behaviour(&function.sig.ident, &config, kind);
    Ok(quote! {
        #[allow(clippy::needless_pass_by_value, reason = "the host gives each run its own configuration")]
        #function

        const _: () = {
            #[allow(dead_code, reason = "only a component exports it")]
            struct Exported;

            impl ::bellwether_guest::component::Component for Exported {
                type Config = #config;
                const MANIFEST: ::bellwether_guest::component::Manifest =
                    ::bellwether_guest::component::Manifest {
                        name: #name,
                        version: ::core::env!("CARGO_PKG_VERSION"),
                        summary: #summary,
                        grants: &[#(#grants),*],
                    };
            }

            #[cfg(target_arch = "wasm32")]
            ::bellwether_guest::bindings::component::export_component!(
                Exported with_types_in ::bellwether_guest::bindings::component
            );

            #behaviour
        };
    })
}

fn behaviour(function: &Ident, config: &Type, kind: Kind) -> TokenStream {
    match kind {
        Kind::Checker => quote! {
            impl ::bellwether_guest::component::Checker for Exported {
                fn check(
                    config: #config,
                    run: &::bellwether_guest::Run,
                ) -> ::bellwether_guest::Observation {
                    ::core::convert::Into::into(#function(config, run))
                }
            }

            #[cfg(target_arch = "wasm32")]
            ::bellwether_guest::bindings::checker::export_checker!(
                Exported with_types_in ::bellwether_guest::bindings::checker
            );
        },
        Kind::RestartScript => quote! {
            impl ::bellwether_guest::component::RestartScript for Exported {
                fn plan(
                    config: #config,
                    request: &::bellwether_guest::PlanRequest,
                ) -> ::core::result::Result<::bellwether_guest::Plan, ::std::string::String> {
                    #function(config, request)
                }
            }

            #[cfg(target_arch = "wasm32")]
            ::bellwether_guest::bindings::restart_script::export_restart_script!(
                Exported with_types_in ::bellwether_guest::bindings::restart_script
            );
        },
    }
}

/// The type of the first parameter; the second is checked by the compiler.
fn config_type(function: &ItemFn, kind: Kind) -> Result<Type> {
    let expected = match kind {
        Kind::Checker => "expected `fn(config: Config, run: &Run) -> Observation`",
        Kind::RestartScript => "expected `fn(config: Config, request: &PlanRequest) -> Result<Plan, String>`",
    };
    let signature = &function.sig;
    let plain = signature.asyncness.is_none() && signature.generics.params.is_empty();
    let mut inputs = signature.inputs.iter();
    match (inputs.next(), inputs.next(), inputs.next()) {
        (Some(FnArg::Typed(config)), Some(FnArg::Typed(_)), None) if plain => Ok((*config.ty).clone()),
        _ => Err(Error::new_spanned(signature, expected)),
    }
}

/// The first paragraph of the doc comment, in one line.
fn summary(function: &ItemFn) -> String {
    let lines = function.attrs.iter().filter_map(|attribute| match &attribute.meta {
        Meta::NameValue(pair) if pair.path.is_ident("doc") => match &pair.value {
            Expr::Lit(ExprLit { lit: Lit::Str(text), .. }) => Some(text.value().trim().to_owned()),
            _ => None,
        },
        _ => None,
    });
    let paragraph: Vec<String> =
        lines.skip_while(String::is_empty).take_while(|line| !line.is_empty()).collect();
    paragraph.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use syn::parse_quote;

    #[test]
    fn the_summary_is_the_first_paragraph() {
        let function: ItemFn = parse_quote! {
            /// Counts the
            /// sheep.
            ///
            /// And more.
            fn check(config: Config, run: &Run) -> Observation { todo() }
        };
        assert_eq!(summary(&function), "Counts the sheep.");
    }

    #[test]
    fn another_shape_is_refused_with_the_right_one() {
        let function: ItemFn = parse_quote! { fn check(run: &Run) -> Observation { todo() } };
        let error = config_type(&function, Kind::Checker).err().unwrap();
        assert_eq!(error.to_string(), "expected `fn(config: Config, run: &Run) -> Observation`");
    }

    #[test]
    fn grants_are_asked_for_with_and_without_a_value() {
        let arguments: Arguments = syn::parse_str(
            r#"name = "n", grants(connect = "the page", connect("10.0.0.1:53") = "the name server")"#,
        )
        .unwrap();
        assert_eq!(arguments.grants.len(), 2);
        assert!(arguments.grants[0].value.is_none());
        assert_eq!(arguments.grants[1].value.as_ref().map(LitStr::value).unwrap(), "10.0.0.1:53");
        assert!(syn::parse_str::<Arguments>("colour = 1").is_err());
        for kind in KINDS {
            assert!(syn::parse_str::<Arguments>(&format!("grants({kind} = \"why\")")).is_ok(), "{kind}");
        }
        let error = syn::parse_str::<Arguments>("grants(conect = \"why\")").err().unwrap().to_string();
        assert!(error.starts_with("expected one of connect, resolve, http"), "{error}");
    }
}

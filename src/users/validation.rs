//! What a user's fields may hold, and which of them a mask changes.

use pbjson_types::FieldMask;
use tonic::Status;

use super::{
    UserPatch,
    refusal::{Violation, invalid},
    v1::{CreateUserRequest, UserStatus},
};

/// RFC 5321: 64 for the local part, 255 for the domain, and the @.
pub(super) const EMAIL_LIMIT_BYTES: usize = 320;
const NAME_LIMIT_BYTES: usize = 1_024;
const PASSWORD_MIN_BYTES: usize = 8;
pub(super) const PASSWORD_LIMIT_BYTES: usize = 1_024;

/// Every fault of a new user.
pub(super) fn new_user(request: &CreateUserRequest) -> Result<(), Status> {
    let CreateUserRequest { email: address, name: text, password } = request;
    let lengths = PASSWORD_MIN_BYTES..=PASSWORD_LIMIT_BYTES;
    let mut faults = Vec::new();
    faults.extend(email(address, ""));
    faults.extend(name(text, ""));
    if !password.is_empty() && !lengths.contains(&password.len()) {
        let reason = "must be empty, or 8 to 1,024 bytes";
        faults.push(Violation::new("Invalid password", "password", reason));
    }
    if faults.is_empty() { Ok(()) } else { Err(invalid(faults)) }
}

/// The fields of a user that a request may change, and where they stand in it.
pub(super) struct Fields<'a> {
    /// In front of each name: `user.`, or nothing.
    pub(super) prefix: &'a str,
    pub(super) email: &'a str,
    pub(super) name: &'a str,
    pub(super) status: i32,
}

impl Fields<'_> {
    /// What `mask` changes; without one, what is set.
    pub(super) fn patch(&self, mask: Option<&FieldMask>) -> Result<UserPatch, Status> {
        let mut patch = UserPatch::default();
        let mut faults = Vec::new();
        let paths = mask.map_or(&[][..], |mask| &mask.paths);
        for path in paths {
            match path.as_str() {
                "email" => patch.email = Some(self.email.to_owned()),
                "name" => patch.name = Some(self.name.to_owned()),
                "status" => patch.status = Some(self.status),
                "*" => patch = self.all(),
                "id" | "created_at" => {
                    let reason = "id and created_at cannot be changed";
                    faults.push(Violation::new("Invalid mask", "update_mask", reason));
                }
                _ => {
                    let reason = "names a field that a user does not have";
                    faults.push(Violation::new("Invalid mask", "update_mask", reason));
                }
            }
        }
        if paths.is_empty() {
            let UserPatch { email, name, status } = self.all();
            patch = UserPatch {
                email: email.filter(|email| !email.is_empty()),
                name: name.filter(|name| !name.is_empty()),
                status: status.filter(|status| *status != 0),
            };
        }
        faults.extend(patch.email.as_deref().and_then(|text| email(text, self.prefix)));
        faults.extend(patch.name.as_deref().and_then(|text| name(text, self.prefix)));
        if patch.status.is_some_and(|status| {
            !matches!(UserStatus::try_from(status), Ok(UserStatus::Active | UserStatus::Inactive))
        }) {
            let (field, reason) = (format!("{}status", self.prefix), "must be ACTIVE or INACTIVE");
            faults.push(Violation::new("Invalid status", field, reason));
        }
        if faults.is_empty() { Ok(patch) } else { Err(invalid(faults)) }
    }

    fn all(&self) -> UserPatch {
        UserPatch {
            email: Some(self.email.to_owned()),
            name: Some(self.name.to_owned()),
            status: Some(self.status),
        }
    }
}

fn email(email: &str, prefix: &str) -> Option<Violation> {
    let is_good = email.contains('@')
        && email.len() <= EMAIL_LIMIT_BYTES
        && !email.contains(|c: char| c.is_control() || c.is_whitespace());
    let reason = "must hold an @, no spaces, and at most 320 bytes";
    (!is_good).then(|| Violation::new("Invalid email", format!("{prefix}email"), reason))
}

fn name(name: &str, prefix: &str) -> Option<Violation> {
    // U+0000 is what PostgreSQL does not keep.
    let is_good = name.len() <= NAME_LIMIT_BYTES && !name.contains('\0');
    let reason = "must be at most 1,024 bytes, without U+0000";
    (!is_good).then(|| Violation::new("Invalid name", format!("{prefix}name"), reason))
}

#[cfg(test)]
mod tests {
    use tonic_types::StatusExt as _;

    use super::*;

    fn fields(status: &Status) -> Vec<String> {
        let violations = status.get_details_bad_request().unwrap().field_violations;
        violations.into_iter().map(|violation| violation.field).collect()
    }

    #[test]
    fn every_fault_of_a_new_user_is_told() {
        let request = CreateUserRequest {
            email: "ada".into(),
            name: "\0".into(),
            password: "1234567".into(),
        };
        let status = new_user(&request).unwrap_err();
        assert_eq!(status.message(), "Invalid email");
        assert_eq!(fields(&status), ["email", "name", "password"]);
        for email in ["", "ada", "a b@c", "a@b\n", &format!("{}@x", "a".repeat(319))] {
            let request = CreateUserRequest { email: email.into(), ..Default::default() };
            assert_eq!(fields(&new_user(&request).unwrap_err()), ["email"], "{email}");
        }
        let request = CreateUserRequest { email: "@".into(), ..Default::default() };
        assert!(new_user(&request).is_ok());
    }

    #[test]
    fn a_mask_says_what_changes() {
        let fields_of = |email, name, status| Fields { prefix: "user.", email, name, status };
        let mask = |paths: &[&str]| FieldMask { paths: paths.iter().map(|&p| p.into()).collect() };
        let given = fields_of("a@b", "", 2);
        let patch = |email: Option<&str>, name: Option<&str>, status| UserPatch {
            email: email.map(Into::into),
            name: name.map(Into::into),
            status,
        };
        let changed = |paths: &[&str]| given.patch(Some(&mask(paths))).unwrap();
        assert_eq!(changed(&["email"]), patch(Some("a@b"), None, None));
        assert_eq!(changed(&["name", "status"]), patch(None, Some(""), Some(2)));
        assert_eq!(changed(&["*"]), patch(Some("a@b"), Some(""), Some(2)));
        assert_eq!(changed(&[]), patch(Some("a@b"), None, Some(2)));
        assert_eq!(given.patch(None).unwrap(), patch(Some("a@b"), None, Some(2)));
        assert_eq!(fields_of("", "", 0).patch(None).unwrap(), UserPatch::default());

        for (paths, at) in [
            (&["created_at"][..], "update_mask"),
            (&["id"], "update_mask"),
            (&["password"], "update_mask"),
            (&["user.email"], "update_mask"),
        ] {
            assert_eq!(fields(&given.patch(Some(&mask(paths))).unwrap_err()), [at], "{paths:?}");
        }
        let wrong = fields_of("", "", 7);
        let status = wrong.patch(Some(&mask(&["*"]))).unwrap_err();
        assert_eq!(fields(&status), ["user.email", "user.status"]);
        let status = fields_of("", "", 0).patch(Some(&mask(&["status"]))).unwrap_err();
        assert_eq!(fields(&status), ["user.status"]);
    }
}

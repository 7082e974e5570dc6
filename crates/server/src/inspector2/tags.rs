//! Tags of filters.

use super::call::Call;
use super::failure::{Failure, bad_request};
use super::filters;
use lestrade_wire::inspector2::{
    ListTagsForResourceRequest, ListTagsForResourceResponse, TagResourceRequest, TagResourceResponse, UntagResourceRequest,
    UntagResourceResponse,
};

/// As many as AWS allows on a resource.
const MOST: usize = 50;

pub(super) fn list_tags_for_resource(call: &Call<'_>, input: ListTagsForResourceRequest) -> Result<ListTagsForResourceResponse, Failure> {
    Ok(ListTagsForResourceResponse { tags: Some(filters::one(call, &input.resource_arn)?.tags.unwrap_or_default()) })
}

pub(super) fn tag_resource(call: &Call<'_>, input: TagResourceRequest) -> Result<TagResourceResponse, Failure> {
    let mut filter = filters::one(call, &input.resource_arn)?;
    let tags = filter.tags.get_or_insert_default();
    tags.extend(input.tags);
    if tags.len() > MOST {
        return Err(bad_request(format!("A resource has at most {MOST} tags.")));
    }
    filters::put(call, &filter)?;
    Ok(TagResourceResponse {})
}

pub(super) fn untag_resource(call: &Call<'_>, input: UntagResourceRequest) -> Result<UntagResourceResponse, Failure> {
    let mut filter = filters::one(call, &input.resource_arn)?;
    let tags = filter.tags.get_or_insert_default();
    tags.retain(|key, _| !input.tag_keys.contains(key));
    filters::put(call, &filter)?;
    Ok(UntagResourceResponse {})
}

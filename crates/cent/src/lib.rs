#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod client;
mod config;
mod error;
mod jwt;
mod proto;
mod requests;
mod token;
mod transport;
mod version;

pub use client_core::{Backoff, ErrorKind};

#[cfg(feature = "tokio")]
pub use crate::client::AsyncClient;
#[cfg(feature = "tls")]
pub use crate::config::Dangerous;
pub use crate::{
    client::{Batch, Client, Item, Replies, Ticket},
    config::Config,
    error::{ApiError, Error, Failure, RequestError, Unsupported},
    jwt::{Algorithm, Claims, verify_jwt},
    requests::{
        BlockUser, Broadcast, Broadcasted, CancelPush, ChannelInfo, Channels, ClientInfo,
        ConnectionInfo, ConnectionState, Connections, DeleteUserStatus, Device, DeviceFilter,
        DeviceList, DeviceListResult, DeviceRegister, DeviceRemove, DeviceTopic, DeviceTopicFilter,
        DeviceTopicList, DeviceTopicListResult, DeviceTopicUpdate, DeviceUpdate, Disconnect,
        GetUserStatus, History, HistoryRemove, HistoryResult, Info, InvalidateUserTokens, KeyMode,
        MapClear, MapEntries, MapEntry, MapPublish, MapPublished, MapReadState, MapReadStream,
        MapRemove, MapStats, MapStatsResult, Node, NodeInfo, Order, Override, Position, Presence,
        PresenceStats, PresenceStatsResult, Publication, Publish, Published, PushRecipient,
        Refresh, Request, RevokeToken, Rpc, SendPushNotification, SharedPollPublish, Subscribe,
        TokenInfo, TopicOp, UnblockUser, Unsubscribe, UpdatePushStatus, UpdateUserStatus, User,
        UserStatus, UserTopic, UserTopicFilter, UserTopicList, UserTopicListResult,
        UserTopicUpdate,
    },
    token::{
        generate_api_sign, generate_channel_sign, generate_shared_poll_sign, generate_token,
        get_timestamp, verify_api_sign, verify_channel_sign, verify_token,
    },
    transport::{Incoming, Outgoing, Transport},
    version::{Dialect, Version},
};

/// What the trait [`Request`] needs to name. No part of the API: it changes
/// without notice.
#[doc(hidden)]
pub mod internal {
    pub use crate::{
        proto::Params,
        requests::{Idempotent, ReadError, Reply, sealed::Sealed},
    };
}

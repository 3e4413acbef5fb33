//! Methods of the commercial server.

mod access;
mod connections;
mod devices;
mod push;

pub use access::{
    BlockUser, DeleteUserStatus, GetUserStatus, InvalidateUserTokens, RevokeToken, UnblockUser,
    UpdateUserStatus, UserStatus,
};
pub use connections::{ConnectionInfo, ConnectionState, Connections, TokenInfo};
pub use devices::{
    Device, DeviceFilter, DeviceList, DeviceListResult, DeviceRegister, DeviceRemove, DeviceTopic,
    DeviceTopicFilter, DeviceTopicList, DeviceTopicListResult, DeviceTopicUpdate, DeviceUpdate,
    TopicOp, UserTopic, UserTopicFilter, UserTopicList, UserTopicListResult, UserTopicUpdate,
};
pub use push::{CancelPush, PushRecipient, SendPushNotification, UpdatePushStatus};

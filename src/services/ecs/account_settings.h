// Handlers of account settings. Pure; state thread.
#pragma once

#include "model/ecs/account_setting.h"
#include "services/ecs/shapes.h"
#include "services/handler.h"

namespace berth::services::ecs {

Handled<m::ListAccountSettingsResponse> list_account_settings(const Context& context,
                                                              const m::ListAccountSettingsRequest& in);
Handled<m::PutAccountSettingResponse> put_account_setting(const Context& context,
                                                          const m::PutAccountSettingRequest& in);
Handled<m::PutAccountSettingDefaultResponse> put_account_setting_default(const Context& context,
                                                                         const m::PutAccountSettingDefaultRequest& in);

}  // namespace berth::services::ecs

// What a page knows of user.v1: written down here, so that the page is a stranger to the project.

import { create, createFileRegistry } from "@bufbuild/protobuf";
import {
  FieldDescriptorProto_Label as Label,
  FieldDescriptorProto_Type as Type,
  FileDescriptorSetSchema,
} from "@bufbuild/protobuf/wkt";

const text = (name, number) => ({ name, number, type: Type.STRING, label: Label.OPTIONAL });
const message = (name, ...field) => ({ name, field });
const method = (name, inputType, serverStreaming) => ({
  name,
  inputType: `.user.v1.${inputType}`,
  outputType: ".user.v1.User",
  serverStreaming,
});

const registry = createFileRegistry(
  create(FileDescriptorSetSchema, {
    file: [
      {
        name: "user.proto",
        package: "user.v1",
        syntax: "proto3",
        messageType: [
          message("User", text("id", 1), text("email", 2), text("name", 3)),
          message("GetUserRequest", text("user_id", 1)),
          message("CreateUserRequest", text("email", 1), text("name", 2)),
          message(
            "ListUsersRequest",
            { name: "page_size", number: 1, type: Type.INT32, label: Label.OPTIONAL },
            text("page_token", 2),
          ),
        ],
        service: [
          {
            name: "UserService",
            method: [
              method("GetUser", "GetUserRequest", false),
              method("CreateUser", "CreateUserRequest", false),
              method("ListUsers", "ListUsersRequest", true),
            ],
          },
        ],
      },
    ],
  }),
);

export const UserService = registry.getService("user.v1.UserService");
export const schema = (name) => registry.getMessage(`user.v1.${name}`);

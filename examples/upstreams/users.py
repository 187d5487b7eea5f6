"""Users, without a store: what is asked is what is answered."""

import serving

users_pb2, users_pb2_grpc = serving.generated("users")

NAME = "users.Users"


class UsersService(users_pb2_grpc.UsersServicer):
    def CreateUser(self, request, context):
        metadata = [f"{key}={value}" for key, value in context.invocation_metadata()]
        print("CreateUser with", ", ".join(metadata), flush=True)
        user = users_pb2.User(username=request.username, user_id=1)
        return users_pb2.CreateUserResult(user=user)

    def GetUsers(self, request, context):
        for user in request.user:
            yield users_pb2.GetUsersResult(user=user)


def add_to(server):
    users_pb2_grpc.add_UsersServicer_to_server(UsersService(), server)

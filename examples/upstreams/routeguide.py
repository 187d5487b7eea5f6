"""A guide to an island that is on no map: the four kinds of calls, on GPS points."""

import math

import serving
from google.protobuf import any_pb2
from google.rpc import code_pb2, error_details_pb2, status_pb2
from grpc_status import rpc_status

routeguide_pb2, routeguide_pb2_grpc = serving.generated("routeguide")

NAME = "routeguide.RouteGuide"
EARTH_RADIUS_METRES = 6_371_000
NEAR_METRES = 100

# From south to north.
FEATURES = [
    routeguide_pb2.Feature(
        name=name, location=routeguide_pb2.Point(latitude=latitude, longitude=longitude)
    )
    for name, latitude, longitude in [
        ("South Cape", -35.35, -15.2),
        ("Ferry Landing", -35.3, -15.25),
        ("Old Mill", -35.26, -15.18),
        ("Lighthouse", -35.2, -15.1),
    ]
]


def metres(a, b):
    """The distance of two points, along the earth's surface."""
    south, north = math.radians(a.latitude), math.radians(b.latitude)
    east = math.radians(b.longitude - a.longitude)
    half = math.sin((north - south) / 2) ** 2
    half += math.cos(south) * math.cos(north) * math.sin(east / 2) ** 2
    return 2 * EARTH_RADIUS_METRES * math.asin(math.sqrt(half))


def nearest(point):
    """The feature nearest to a point, and how far it is."""
    return min(
        ((feature, metres(point, feature.location)) for feature in FEATURES),
        key=lambda found: found[1],
    )


class RouteGuide(routeguide_pb2_grpc.RouteGuideServicer):
    def GetFeature(self, point, context):
        feature, distance = nearest(point)
        if distance <= NEAR_METRES:
            return feature
        # Why, for people; and, for programs, what it was that is not there.
        message = f"No feature within {NEAR_METRES} metres"
        name = f"{point.latitude}, {point.longitude}"
        detail = any_pb2.Any()
        detail.Pack(error_details_pb2.ResourceInfo(resource_type=NAME, resource_name=name))
        status = status_pb2.Status(code=code_pb2.NOT_FOUND, message=message, details=[detail])
        context.abort_with_status(rpc_status.to_status(status))

    def ListFeatures(self, area, context):
        southwest, northeast = area.southwest, area.northeast
        for feature in FEATURES:
            at = feature.location
            if (
                southwest.latitude <= at.latitude <= northeast.latitude
                and southwest.longitude <= at.longitude <= northeast.longitude
            ):
                yield feature

    def RecordRoute(self, points, context):
        summary = routeguide_pb2.RouteSummary()
        length = 0
        before = None
        for point in points:
            summary.point_count += 1
            summary.feature_count += nearest(point)[1] <= NEAR_METRES
            length += metres(before or point, point)
            before = point
        summary.distance_metres = round(length)
        return summary

    def RouteChat(self, notes, context):
        for note in notes:
            feature, distance = nearest(note.location)
            text = f"{note.text} {feature.name}, {round(distance)} m from there."
            yield routeguide_pb2.RouteNote(location=feature.location, text=text)


def add_to(server):
    routeguide_pb2_grpc.add_RouteGuideServicer_to_server(RouteGuide(), server)

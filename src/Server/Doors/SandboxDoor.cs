using Frusta.Controller.Api;
using Microsoft.AspNetCore.Http.Features;

namespace Frusta.Server.Doors;

/// <summary>The door for functions in sandboxes: they reach the API, but none of the operators' paths (404).</summary>
internal static class SandboxDoor
{
    public static Task HandleAsync(HttpContext context, RestApi api)
    {
        if (RequestPath.IsInApi(RequestPath.Of(context.Features.GetRequiredFeature<IHttpRequestFeature>().RawTarget)))
        {
            return api.HandleAsync(context);
        }

        context.Response.StatusCode = StatusCodes.Status404NotFound;
        return Task.CompletedTask;
    }
}

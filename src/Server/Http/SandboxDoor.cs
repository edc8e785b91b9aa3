using Frusta.Controller.Api;
using Microsoft.AspNetCore.Http.Features;

namespace Frusta.Server.Http;

/// <summary>What functions in sandboxes reach of this server: the API, and nothing of its operators'.</summary>
internal static class SandboxDoor
{
    private const string Root = "/api/v1";

    public static Task HandleAsync(HttpContext context, RestApi api)
    {
        var target = context.Features.GetRequiredFeature<IHttpRequestFeature>().RawTarget;
        if (target.StartsWith(Root, StringComparison.Ordinal))
        {
            return api.HandleAsync(context);
        }

        context.Response.StatusCode = StatusCodes.Status404NotFound;
        return Task.CompletedTask;
    }
}

using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Hosting.Server.Abstractions;
using Microsoft.AspNetCore.Http.Features;

namespace Frusta.Server.Doors;

/// <summary>
/// Hands each request straight to one handler. The generic host's pipeline is left out on purpose: its scopes, activities
/// and diagnostics cost more than the whole controller does on a warm call.
/// </summary>
public sealed class ApiApplication(Func<HttpContext, Task> handle) : IHttpApplication<ApiApplication.Call>
{
    public Call CreateContext(IFeatureCollection contextFeatures)
    {
        if (contextFeatures is IHostContextContainer<Call> container)
        {
            // A connection's context is used again for its next request.
            var call = container.HostContext ??= new Call();
            call.Context.Initialize(contextFeatures);
            return call;
        }

        var fresh = new Call();
        fresh.Context.Initialize(contextFeatures);
        return fresh;
    }

    public Task ProcessRequestAsync(Call context) => handle(context.Context);

    public void DisposeContext(Call context, Exception? exception) => context.Context.Uninitialize();

    /// <summary>The state of one request; a connection uses it again for its next one.</summary>
    public sealed class Call
    {
        public DefaultHttpContext Context { get; } = new(new FeatureCollection());
    }
}

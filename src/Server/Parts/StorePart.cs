using System.Data.Common;
using Frusta.Bus;
using Frusta.Server.Configuration;
using Frusta.Store;
using Frusta.Store.Activations;
using Frusta.Store.Entities;

namespace Frusta.Server.Parts;

/// <summary>The stores in the data folder, and the cache in front of the store of entities.</summary>
internal sealed class StorePart : IAsyncDisposable
{
    private readonly SqliteEntityStore _entities;

    private StorePart(SqliteEntityStore entities, ActivationStore activations, FrustaOptions options)
    {
        _entities = entities;
        Activations = activations;
        Documents = new CachedEntityStore(entities, options.Controller.Cache, Invalidation);
    }

    /// <summary>Tells the parts that keep copies of an entity when it was written.</summary>
    public EmbeddedCacheInvalidation Invalidation { get; } = new();

    public CachedEntityStore Documents { get; }

    public ActivationStore Activations { get; }

    /// <summary>Opens the stores.</summary>
    /// <exception cref="StartRefusedException">A store cannot be read; the message names its folder.</exception>
    public static async Task<StorePart> OpenAsync(FrustaOptions options, DataFolder data, ProcessPart process)
    {
        var entities = Open("entities", data.Entities, folder => SqliteEntityStore.Open(
            folder, options.Store.Entities, process.Clock, process.Loggers.CreateLogger<SqliteEntityStore>()));
        try
        {
            var activations = Open("records of activations", data.Activations, folder => ActivationStore.Open(
                folder, options.Store.Activations, process.Clock, process.Loggers.CreateLogger<ActivationStore>()));
            return new StorePart(entities, activations, options);
        }
        catch
        {
            await entities.DisposeAsync();
            throw;
        }
    }

    public async ValueTask DisposeAsync()
    {
        await Activations.DisposeAsync();
        await _entities.DisposeAsync();
    }

    private static TStore Open<TStore>(string content, string folder, Func<string, TStore> open)
    {
        try
        {
            return open(folder);
        }
        catch (Exception exception) when (exception is DbException or StoreFormatException or IOException or UnauthorizedAccessException)
        {
            throw new StartRefusedException(
                $"The {content} in '{folder}' cannot be read: {exception.Message.TrimEnd('.')}. Put the folder back from a backup, or name another data folder with --data-dir.");
        }
    }
}

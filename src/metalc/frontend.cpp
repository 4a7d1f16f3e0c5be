// SPDX-License-Identifier: Apache-2.0
// The only C++ of the compiler: in-process clang 19 on an in-memory file system, behind one C function.
#include "frontend.h"
#include <cstring>
#include <map>
#include <clang/AST/ASTConsumer.h>
#include <clang/AST/ASTContext.h>
#include <clang/AST/Attr.h>
#include <clang/AST/RecursiveASTVisitor.h>
#include <clang/Basic/Diagnostic.h>
#include <clang/CodeGen/CodeGenAction.h>
#include <clang/Frontend/CompilerInstance.h>
#include <clang/Frontend/FrontendActions.h>
#include <clang/Frontend/MultiplexConsumer.h>
#include <clang/Frontend/TextDiagnosticPrinter.h>
#include <clang/Lex/PreprocessorOptions.h>
#include <llvm/IR/LLVMContext.h>
#include <llvm/IR/Module.h>
#include <llvm/Support/FileSystem.h>
#include <llvm/Support/VirtualFileSystem.h>

namespace
{

// A kernel is one line "kernel<TAB>host name<TAB>C++ expression", followed by its parameters, a line each:
// "parameter<TAB>name<TAB>pointer|reference|value<TAB>const|mutable<TAB>size of the element<TAB>type",
// followed by its attributes, "attribute<TAB>name<TAB>number or empty".
class Reflector : public clang::RecursiveASTVisitor<Reflector>
{
  public:
    Reflector(clang::ASTContext &context, std::string &out)
        : context(context), out(out), policy(context.getPrintingPolicy())
    {
        policy.FullyQualifiedName = true;
        policy.SuppressTagKeyword = true;
    }

    bool shouldVisitTemplateInstantiations() const { return true; }
    bool TraverseStmt(clang::Stmt *) { return true; } // kernels are no part of a statement or a type
    bool TraverseTypeLoc(clang::TypeLoc) { return true; }

    bool VisitFunctionDecl(clang::FunctionDecl *function)
    {
        if (function->isDependentContext() || !annotation(function, "smelt.kernel")) return true;
        if (function != function->getCanonicalDecl() || !seen.insert(function->getCanonicalDecl()).second)
            return true;
        std::string expression;
        llvm::raw_string_ostream stream(expression);
        function->getNameForDiagnostic(stream, policy, true);
        stream.flush();
        std::string name = function->getNameAsString();
        if (const auto *attribute = annotation(function, "smelt.host_name"))
            if (attribute->args_size() == 1)
                if (const auto *text = llvm::dyn_cast<clang::StringLiteral>(
                        (*attribute->args_begin())->IgnoreParenImpCasts()))
                    name = text->getString().str();
        out += "kernel\t" + name + "\t" + expression + "\n";
        for (const clang::ParmVarDecl *parameter : function->parameters()) describe(parameter);
        return true;
    }

  private:
    static const clang::AnnotateAttr *annotation(const clang::Decl *decl, llvm::StringRef name)
    {
        for (const auto *attribute : decl->specific_attrs<clang::AnnotateAttr>())
            if (attribute->getAnnotation() == name) return attribute;
        return nullptr;
    }

    void describe(const clang::ParmVarDecl *parameter)
    {
        clang::QualType type = parameter->getType();
        const char *kind = type->isPointerType()     ? "pointer"
                           : type->isReferenceType() ? "reference"
                                                     : "value";
        clang::QualType element =
            type->isPointerType() || type->isReferenceType() ? type->getPointeeType() : type;
        uint64_t size = 0;
        if (!element->isIncompleteType() && !element->isFunctionType())
            size = context.getTypeSizeInChars(element).getQuantity();
        out += "parameter\t" + parameter->getNameAsString() + "\t" + kind + "\t" +
               (element.isConstQualified() ? "const" : "mutable") + "\t" + std::to_string(size) + "\t" +
               element.getUnqualifiedType().getAsString(policy) + "\n";
        for (const auto *attribute : parameter->specific_attrs<clang::AnnotateAttr>()) {
            std::string number;
            clang::Expr::EvalResult value;
            if (attribute->args_size() == 1 && (*attribute->args_begin())->EvaluateAsInt(value, context))
                number = llvm::toString(value.Val.getInt(), 10);
            out += "attribute\t" + attribute->getAnnotation().str() + "\t" + number + "\n";
        }
    }

    clang::ASTContext &context;
    std::string &out;
    clang::PrintingPolicy policy;
    llvm::SmallPtrSet<const clang::Decl *, 16> seen;
};

// Looks at what the text itself declares and instantiates: walking everything would load the whole prelude.
class ReflectConsumer : public clang::ASTConsumer
{
  public:
    explicit ReflectConsumer(std::string &out) : out(out) {}
    bool HandleTopLevelDecl(clang::DeclGroupRef group) override
    {
        declared.insert(declared.end(), group.begin(), group.end());
        return true;
    }
    void HandleInterestingDecl(clang::DeclGroupRef) override {} // of the precompiled prelude
    void HandleTranslationUnit(clang::ASTContext &context) override
    {
        if (context.getDiagnostics().hasErrorOccurred()) return;
        Reflector reflector(context, out);
        for (clang::Decl *decl : declared) reflector.TraverseDecl(decl);
    }

  private:
    std::string &out;
    std::vector<clang::Decl *> declared;
};

class Action : public clang::EmitLLVMOnlyAction
{
  public:
    Action(llvm::LLVMContext *context, std::string *reflection)
        : clang::EmitLLVMOnlyAction(context), reflection(reflection)
    {
    }

  protected:
    std::unique_ptr<clang::ASTConsumer> CreateASTConsumer(clang::CompilerInstance &instance,
                                                          llvm::StringRef file) override
    {
        auto generator = clang::EmitLLVMOnlyAction::CreateASTConsumer(instance, file);
        if (!reflection || !generator) return generator;
        std::vector<std::unique_ptr<clang::ASTConsumer>> consumers;
        consumers.push_back(std::make_unique<ReflectConsumer>(*reflection));
        consumers.push_back(std::move(generator));
        return std::make_unique<clang::MultiplexConsumer>(std::move(consumers));
    }

  private:
    std::string *reflection;
};

// A file of the disk after its edit.
class EditedFile : public llvm::vfs::File
{
  public:
    EditedFile(llvm::vfs::Status about, std::shared_ptr<std::string> text)
        : about(std::move(about)), text(std::move(text))
    {
    }
    llvm::ErrorOr<llvm::vfs::Status> status() override { return about; }
    llvm::ErrorOr<std::unique_ptr<llvm::MemoryBuffer>> getBuffer(const llvm::Twine &name, int64_t, bool,
                                                                 bool) override
    {
        return llvm::MemoryBuffer::getMemBufferCopy(*text, name);
    }
    std::error_code close() override { return {}; }

  private:
    llvm::vfs::Status about;
    std::shared_ptr<std::string> text;
};

// The disk, but for everything outside the given folders.
class FolderFileSystem : public llvm::vfs::ProxyFileSystem
{
  public:
    explicit FolderFileSystem(const frontend_request &request)
        : llvm::vfs::ProxyFileSystem(llvm::vfs::getRealFileSystem()), edit(request.edit),
          context(request.edit_context)
    {
        for (size_t i = 0; i < request.folder_count; i++) add(request.folders[i]);
    }
    llvm::ErrorOr<llvm::vfs::Status> status(const llvm::Twine &path) override
    {
        if (!allowed(path)) return std::make_error_code(std::errc::no_such_file_or_directory);
        auto about = llvm::vfs::ProxyFileSystem::status(path);
        if (!about || !about->isRegularFile()) return about;
        auto text = edited(path);
        if (!text) return text.getError();
        return llvm::vfs::Status::copyWithNewSize(*about, (*text)->size());
    }
    llvm::ErrorOr<std::unique_ptr<llvm::vfs::File>> openFileForRead(const llvm::Twine &path) override
    {
        if (!allowed(path)) return std::make_error_code(std::errc::no_such_file_or_directory);
        auto about = status(path);
        if (!about) return about.getError();
        auto text = edited(path);
        if (!text) return text.getError();
        return std::make_unique<EditedFile>(*about, *text);
    }

    // "." has to exist: the folder of the in-memory files.
    llvm::ErrorOr<std::string> getCurrentWorkingDirectory() const override { return std::string("/smelt"); }
    std::error_code setCurrentWorkingDirectory(const llvm::Twine &) override { return {}; }

  private:
    static bool real(const llvm::Twine &path, llvm::SmallVectorImpl<char> &out)
    {
        return !llvm::sys::fs::real_path(path, out);
    }
    void add(const char *folder)
    {
        llvm::SmallString<256> path;
        if (real(folder, path)) folders.push_back(path.str().str());
    }
    bool allowed(const llvm::Twine &name) const
    {
        llvm::SmallString<256> path;
        if (!real(name, path)) return false;
        for (const std::string &folder : folders)
            if (path == folder || (path.starts_with(folder) && path[folder.size()] == '/')) return true;
        return false;
    }
    llvm::ErrorOr<std::shared_ptr<std::string>> edited(const llvm::Twine &path)
    {
        std::shared_ptr<std::string> &text = texts[path.str()];
        if (text) return text;
        auto buffer = llvm::MemoryBuffer::getFile(path);
        if (!buffer) return buffer.getError();
        size_t length = 0;
        char *made = edit(context, (*buffer)->getBufferStart(), (*buffer)->getBufferSize(), path.str().c_str(),
                          &length);
        text = std::make_shared<std::string>(made, length);
        free(made);
        return text;
    }
    std::vector<std::string> folders;
    std::map<std::string, std::shared_ptr<std::string>> texts;
    decltype(frontend_request::edit) edit;
    void *context;
};

llvm::IntrusiveRefCntPtr<llvm::vfs::FileSystem> file_system(const frontend_request &request)
{
    llvm::IntrusiveRefCntPtr<llvm::vfs::InMemoryFileSystem> files(new llvm::vfs::InMemoryFileSystem);
    auto add = [&](const frontend_file &file) {
        files->addFile(file.path, 0,
                       llvm::MemoryBuffer::getMemBuffer(llvm::StringRef(file.text, file.length), file.path));
    };
    add(request.main);
    for (size_t i = 0; i < request.file_count; i++) add(request.files[i]);
    llvm::IntrusiveRefCntPtr<llvm::vfs::OverlayFileSystem> all(
        new llvm::vfs::OverlayFileSystem(new FolderFileSystem(request)));
    files->setCurrentWorkingDirectory("/smelt");
    all->pushOverlay(files);
    return all;
}

} // namespace

extern "C" int frontend_run(const frontend_request *request, frontend_result *result)
{
    std::string log, reflection;
    llvm::raw_string_ostream stream(log);
    llvm::IntrusiveRefCntPtr<clang::DiagnosticOptions> options(new clang::DiagnosticOptions);
    options->ShowPresumedLoc = true;
    options->ErrorLimit = 20;
    options->TabStop = 1;
    clang::TextDiagnosticPrinter printer(stream, options.get());
    llvm::IntrusiveRefCntPtr<clang::DiagnosticsEngine> engine(
        new clang::DiagnosticsEngine(new clang::DiagnosticIDs, options, &printer, false));
    clang::DiagnosticsEngine &diagnostics = *engine;

    std::vector<const char *> arguments = {
        "-triple", request->triple, "-x", request->precompiled ? "c++-header" : "c++", "-std=c++20", "-O0"};
    arguments.insert(arguments.end(), request->arguments, request->arguments + request->argument_count);
    arguments.push_back(request->main.path);

    auto invocation = std::make_shared<clang::CompilerInvocation>();
    auto context = std::make_unique<llvm::LLVMContext>();
    context->setDiscardValueNames(true);
    bool good = clang::CompilerInvocation::CreateFromArgs(*invocation, arguments, diagnostics);
    std::unique_ptr<llvm::Module> module;
    if (good) {
        invocation->getPreprocessorOpts().DisablePragmaDebugCrash = true;
        invocation->getHeaderSearchOpts().UseBuiltinIncludes = false;
        invocation->getFrontendOpts().UseGlobalModuleIndex = false;
        clang::CompilerInstance instance;
        instance.setInvocation(invocation);
        instance.setDiagnostics(engine.get());
        clang::ProcessWarningOptions(diagnostics, invocation->getDiagnosticOpts());
        instance.createFileManager(file_system(*request));
        instance.setVerboseOutputStream(llvm::nulls());
        if (request->precompiled) {
            clang::GeneratePCHAction action;
            invocation->getFrontendOpts().OutputFile = request->precompiled;
            good = instance.ExecuteAction(action) && !diagnostics.hasErrorOccurred();
        } else {
            Action action(context.get(), request->reflect ? &reflection : nullptr);
            good = instance.ExecuteAction(action) && !diagnostics.hasErrorOccurred();
            if (good) module = action.takeModule();
        }
    }
    stream.flush();
    result->log = strdup(log.c_str());
    result->reflection = request->reflect ? strdup(reflection.c_str()) : nullptr;
    result->module = module ? llvm::wrap(module.release()) : nullptr;
    result->context = result->module ? llvm::wrap(context.release()) : nullptr;
    return good && (result->module || request->precompiled) ? 0 : 1;
}
